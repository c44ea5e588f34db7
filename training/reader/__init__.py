"""Training of the reader: a language model that reads pages.

Pages are LightOnOCR-shaped input (Pixtral tower, 2x2 merger, projector) to SmolLM2-135M-Instruct.
"""
