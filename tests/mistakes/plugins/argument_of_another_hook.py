# name: sand
# expect: takes the argument 'batch', which this hook does not have
# fix: it can take source, settings, data_types
from dayfile import hookimpl


class Sand:
    @hookimpl
    def decode(self, source, batch):
        return None


plugin = Sand()
