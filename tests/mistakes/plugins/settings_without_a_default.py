# name: sand
# expect: settings without a default would stop every run
# fix:
from pydantic import BaseModel

from dayfile import hookimpl


class Model(BaseModel):
    threshold: int


class Sand:
    @hookimpl
    def settings(self):
        return Model


plugin = Sand()
