# name: sand
# expect: it was made for version 9 of the hooks
# fix: install a newer dayfile
from dayfile import hookimpl


class Sand:
    hook_version = 9

    @hookimpl
    def decode(self, source):
        return None


plugin = Sand()
