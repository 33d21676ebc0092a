package schema

// A decimal is coef × 10^exp.
type decimal struct {
	coef int64
	exp  int
}

// numberRules are the bounds of numbers.
type numberRules struct{ bounds []bound }

// A bound is what a number is compared with, and the results allowed.
type bound struct {
	with     decimal
	sign     int  // of the difference that is refused
	orEquals bool // the bound itself is refused too
}

// number checks a number.
func (s *scanner) number(n *node, at int) int {
	end, value, known := s.digits(at)
	if end < 0 {
		return no
	}
	if n.types&(number|integer) == 0 {
		return no
	}
	if n.types&number == 0 || n.values != nil || n.number != nil {
		if !known {
			return s.giveUp()
		}
	}
	if n.types&number == 0 && !value.whole() {
		return no
	}
	if n.values != nil && !hasNumber(n.values, value) {
		return no
	}
	if n.number != nil {
		for _, b := range n.number.bounds {
			if d := value.compare(b.with); d == b.sign || d == 0 && b.orEquals {
				return no
			}
		}
	}
	return end
}

func hasNumber(values []literal, d decimal) bool {
	for i := range values {
		if values[i].kind == number && values[i].value.compare(d) == 0 {
			return true
		}
	}
	return false
}

// digits scans a number. Its value is known up to 18 digits and exponents of
// four.
func (s *scanner) digits(at int) (end int, d decimal, known bool) {
	i, negative := at, false
	if s.next(i) == '-' {
		negative = true
		i++
	}
	first := i
	if i = s.run(i, &d.coef); i == first || s.raw[first] == '0' && i > first+1 {
		return s.giveUp(), d, false
	}
	count := i - first
	if s.next(i) == '.' {
		first = i + 1
		if i = s.run(first, &d.coef); i == first {
			return s.giveUp(), d, false
		}
		count += i - first
		d.exp = first - i
	}
	known = count <= 18
	if c := s.next(i); c == 'e' || c == 'E' {
		i++
		sign := 1
		switch s.next(i) {
		case '-':
			sign = -1
			i++
		case '+':
			i++
		}
		first = i
		var exp int64
		if i = s.run(i, &exp); i == first {
			return s.giveUp(), d, false
		}
		known = known && i-first <= 4
		d.exp += sign * int(exp)
	}
	if negative {
		d.coef = -d.coef
	}
	return i, d, known
}

// run appends the digits at an offset to n, which may overflow.
func (s *scanner) run(at int, n *int64) int {
	for at < len(s.raw) && s.raw[at] >= '0' && s.raw[at] <= '9' {
		*n = *n*10 + int64(s.raw[at]-'0')
		at++
	}
	return at
}

// whole reports whether d has no fraction: 1.0 has none.
func (d decimal) whole() bool {
	for d.exp < 0 && d.coef != 0 {
		if d.coef%10 != 0 {
			return false
		}
		d.coef /= 10
		d.exp++
	}
	return true
}

// compare returns the sign of d - e.
func (d decimal) compare(e decimal) int {
	switch {
	case d.coef == 0 || e.coef == 0 || d.coef < 0 != (e.coef < 0) || d.exp == e.exp:
		return sign(d.coef, e.coef)
	case d.exp < e.exp:
		return -e.compare(d)
	}
	for ; d.exp > e.exp; d.exp-- {
		if d.coef >= 1e17 || d.coef <= -1e17 {
			return sign(d.coef, 0) // 19 digits against at most 18
		}
		d.coef *= 10
	}
	return sign(d.coef, e.coef)
}

func sign(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
