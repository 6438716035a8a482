"""Genomes, labelled sets and models from the archives that publish them: sizes first, checked, resumed."""
