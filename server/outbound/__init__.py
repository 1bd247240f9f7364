"""What this server fetches from elsewhere by a URL that somebody else wrote: guarded, and from allowed hosts only."""
