"""Who decides, and by when? Pure: quorum, deadlines, cases. No clock, no store."""
