package app

// AuthCounts returns how many credentials were let in and refused.
func (a *App) AuthCounts() (verified, refused int64) { return a.auth.Counts() }
