"""A trained model becomes a package: TFLite in several variants, calibrated with the package's own preprocessing.

The way of one conversion: request.py says what is wanted, recipe.py how pictures become tensors; environment.py finds
the Python that has TensorFlow; job.py starts child/ there, which reads the model, converts it and tells of it; work.py
keeps what is finished for the next run; assembly.py makes the package of it; table.py shows what it is worth.
"""
