// Package durability proves that runs survive their server: it is killed again
// and again under load, and every run ends as one that nobody disturbed, with
// nothing done twice that was recorded, and nothing missing, doubled or out of
// order for those who watch.
package durability
