package datasource

// For returns the sources that a tenant may use, as they were configured.
func (s *Sources) For(tenant string) []Source {
	var list []Source
	for _, src := range s.sources {
		if src.open(tenant) {
			list = append(list, src.Source)
		}
	}
	return list
}
