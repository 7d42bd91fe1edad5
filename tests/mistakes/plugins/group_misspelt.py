# name: sand
# group: dayfile.plugin
# expect: its entry point is in the group 'dayfile.plugin', where no program looks
# fix: write [project.entry-points."dayfile.plugins"]
from dayfile import hookimpl


class Sand:
    @hookimpl
    def decode(self, source):
        return None


plugin = Sand()
