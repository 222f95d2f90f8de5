package evaluate

import (
	"encoding/json"
	"strconv"
)

// words are 64-bit numbers as JSON strings of decimal digits.
type words []uint64

// UnmarshalJSON implements json.Unmarshaler.
func (w *words) UnmarshalJSON(text []byte) error {
	var texts []string
	if err := json.Unmarshal(text, &texts); err != nil {
		return err
	}
	*w = make(words, len(texts))
	for i, t := range texts {
		number, err := strconv.ParseUint(t, 10, 64)
		if err != nil {
			return err
		}
		(*w)[i] = number
	}
	return nil
}

// MarshalJSON implements json.Marshaler.
func (w words) MarshalJSON() ([]byte, error) {
	texts := make([]string, len(w))
	for i, number := range w {
		texts[i] = strconv.FormatUint(number, 10)
	}
	return json.Marshal(texts)
}
