# name: sand
# target:
# expect: the module that the entry point names has no hooks
# fix: name the object that has them
from dayfile import hookimpl


class Sand:
    @hookimpl
    def decode(self, source):
        return None


plugin = Sand()
