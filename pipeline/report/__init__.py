"""What a run did, told from its ledger: funnel, status, timing and the story of one page."""
