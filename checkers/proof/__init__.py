"""What checkers share: claims and models, proofs in words, answers of the wrong shape."""
