# name: sand
# expect: uses 'yield', so it claims all sources
# fix: return None for these
from dayfile import hookimpl


class Sand:
    @hookimpl
    def decode(self, source):
        if source.name.endswith(".sand"):
            yield from ()


plugin = Sand()
