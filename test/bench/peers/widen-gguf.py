"""A GGUF file with all of its weights as float32: `widen-gguf.py IN OUT`. Needs gguf of PyPI (MIT)."""

import sys

import gguf
import numpy as np

source, target = sys.argv[1:]
reader = gguf.GGUFReader(source)
architecture = reader.get_field(gguf.Keys.General.ARCHITECTURE).contents()
writer = gguf.GGUFWriter(target, architecture)
for field in reader.fields.values():
    own = field.name == gguf.Keys.General.ARCHITECTURE or field.name.startswith("GGUF.")
    if own or field.name == gguf.Keys.General.FILE_TYPE:
        continue
    kind = field.types[0]
    element = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
    writer.add_key_value(field.name, field.contents(), kind, sub_type=element)
writer.add_file_type(gguf.LlamaFileType.ALL_F32)
for tensor in reader.tensors:
    numbers = gguf.dequantize(tensor.data, tensor.tensor_type)
    writer.add_tensor(tensor.name, np.ascontiguousarray(numbers, dtype=np.float32))
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
