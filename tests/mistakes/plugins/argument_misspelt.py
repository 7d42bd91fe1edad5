# name: sand
# expect: takes the argument 'sorce', which this hook does not have
# fix: rename it to source
from dayfile import hookimpl


class Sand:
    @hookimpl
    def decode(self, sorce):
        return None


plugin = Sand()
