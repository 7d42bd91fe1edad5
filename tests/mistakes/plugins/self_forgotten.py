# name: sand
# expect: takes no 'self'
# fix: write def decode(self, source)
from dayfile import hookimpl


class Sand:
    @hookimpl
    def decode(source):
        return None


plugin = Sand()
