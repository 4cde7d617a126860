"""Pushing a release to the Hugging Face Hub: few commits, resumed where they stopped, private unless asked."""
