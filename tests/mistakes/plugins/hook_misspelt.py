# name: sand
# expect: its function decod
# fix: rename it to decode
from dayfile import hookimpl


class Sand:
    @hookimpl
    def decod(self, source):
        return None


plugin = Sand()
