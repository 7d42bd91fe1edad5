# name: sand
# expect: is 'async def', which nobody awaits
# fix: write it as a plain function
from dayfile import hookimpl


class Sand:
    @hookimpl
    async def decode(self, source):
        return None


plugin = Sand()
