"""How the main-text model is made: labelled pages, labels of blocks, folds by site, trees, scores."""
