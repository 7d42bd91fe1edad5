"""An archive over HTTP, to be read: HAPI, and a plain page."""
