// Package similar finds the name that somebody meant who typed another one.
// All its functions are pure.
package similar

import (
	"cmp"
	"slices"
)

// Nearest is the one of the names that the typed one resembles most; the first
// of them if several do. It is empty if there are no names.
func Nearest(typed string, names []string) string {
	best, least := "", -1
	for _, name := range names {
		if d := distance(typed, name); least < 0 || d < least {
			best, least = name, d
		}
	}
	return best
}

// Names are those that the typed one may have been meant to be, the nearest
// first, at most the given number. Names that share less than two thirds of
// their letters are none.
func Names(typed string, names []string, most int) []string {
	var found []string
	for _, name := range names {
		if name != typed && distance(typed, name) <= max(len(typed), len(name))/3 {
			found = append(found, name)
		}
	}
	slices.SortStableFunc(found, func(a, b string) int {
		return cmp.Compare(distance(typed, a), distance(typed, b))
	})
	return found[:min(len(found), most)]
}

// distance is how many letters must be put in, taken out or changed to make
// one word of the other.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
