// Package nearest finds the name that somebody probably meant.
package nearest

import (
	"slices"
	"strings"
)

// To returns the name that is most like the one given, without regard to
// case, or "" if it takes more than max changes of a character to get there.
func To(name string, names []string, max int) string {
	names = slices.Sorted(slices.Values(names))
	best, distance := "", max+1
	for _, n := range names {
		if d := changes(strings.ToLower(name), strings.ToLower(n)); d < distance {
			best, distance = n, d
		}
	}
	return best
}

// changes counts the characters to insert, delete or replace that make a into
// b. What is far longer than any name of ours is not compared.
func changes(a, b string) int {
	if len(a) > 128 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			above := row[j+1]
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			row[j+1] = min(replace, above+1, row[j]+1)
			diagonal = above
		}
	}
	return row[len(b)]
}
