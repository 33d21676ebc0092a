package schema

// Verdict is [Schema.Valid] as oneOf needs it: no means no, if it is certain.
func Verdict(s *Schema, raw []byte) (valid, certain bool) {
	in := scanner{raw: raw, exact: 1}
	valid = in.whole(s.root)
	return valid, !in.unsure
}
