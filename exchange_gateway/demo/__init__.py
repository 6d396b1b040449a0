"""`kommunebro demo`: a whole Kommunebro on this machine, with municipalities that publish."""
