"""The calls of the HDF5 library, in its own words: link, dataset, hyperslab, extent, datatype, attribute, object copy.

Only this room uses ``ctypes`` for HDF5 and the names that PyTables keeps for itself. It knows nothing of data types,
stores or archives.
"""
