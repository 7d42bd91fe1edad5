# name: sand
# expect: there is no hook of this name
# fix: remove the mark; hooks are
from dayfile import hookimpl


class Sand:
    @hookimpl
    def transmogrify(self):
        return None


plugin = Sand()
