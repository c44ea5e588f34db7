"""Questions in the words of people over real and generated documents, with answers as the document words them."""
