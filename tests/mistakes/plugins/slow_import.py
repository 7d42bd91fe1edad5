# name: sand
# expect: s, for which every command waits
# fix: import large libraries in the functions that use them
import time

from dayfile import hookimpl

time.sleep(1.2)


class Sand:
    @hookimpl
    def decode(self, source):
        return None


plugin = Sand()
