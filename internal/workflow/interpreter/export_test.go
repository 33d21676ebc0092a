package interpreter

// Undecided returns the nodes outside of loops of which it is not known
// whether they will run.
func (m *Machine) Undecided() (ids []string) {
	for i := range m.nodes {
		if n := &m.nodes[i]; n.Loop < 0 && n.status != done && n.status != skipped {
			ids = append(ids, n.ID)
		}
	}
	return ids
}
