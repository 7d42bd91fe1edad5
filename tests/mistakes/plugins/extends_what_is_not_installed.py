# name: sand
# expect: extends names the plugin 'mudd', which is not installed
# fix:
from dayfile import hookimpl


class Sand:
    extends = ["mudd"]

    @hookimpl
    def decode(self, source):
        return None


plugin = Sand()
