# name: sand
# expect: the entry point names the class Sand, not an object
# fix: plugin = Sand()
from dayfile import hookimpl


class Sand:
    @hookimpl
    def decode(self, source):
        return None


plugin = Sand
