# name: sand
# expect: wraps that of other plugins
# fix: extends = [...]
from dayfile import hookimpl


class Sand:
    @hookimpl(wrapper=True)
    def classify(self, batch):
        return (yield)


plugin = Sand()
