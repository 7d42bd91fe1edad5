"""Navigation messages of u-blox satellite receivers."""

from dayfile import Instrument

instrument = Instrument.from_package(__name__, "receiver.yaml")
