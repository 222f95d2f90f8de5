// Package docs gives programs the pages that they quote.
package docs

import _ "embed"

// Errors is errors.md: the table of all error reasons.
//
//go:embed errors.md
var Errors string
