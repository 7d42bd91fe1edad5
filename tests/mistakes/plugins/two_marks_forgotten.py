# name: sand
# expect: its function decode
# fix: put @hookimpl above it
# expect: its function data_types
# fix: put @hookimpl above it
class Sand:
    def decode(self, source):
        return None

    def data_types(self):
        return []


plugin = Sand()
