# name: sand
# expect: its function decode
# fix: put @hookimpl above it
class Sand:
    def decode(self, source):
        return None


plugin = Sand()
