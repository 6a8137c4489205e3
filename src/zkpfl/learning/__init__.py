"""Models, data and local training: the only room that imports torch.

Nothing that a stranger uploads is executed or unpickled. A model travels as a JSON graph of allow-listed
ATen operators plus safetensors (:mod:`.graph`, :mod:`.tensors`), the way to train it as a checked
:mod:`.recipe`, both inside a :mod:`.bundle`. What all members of a job must compute alike is deterministic:
the order of the weights and the server step (:mod:`.weights`) and the common statistics (:mod:`.statistics`).
"""
