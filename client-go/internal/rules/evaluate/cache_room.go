package evaluate

import "github.com/muster-registry/muster/client-go/internal/rules"

type cacheRoomInput struct {
	Files []struct {
		Name       string `json:"name"`
		Bytes      uint64 `json:"bytes,string"`
		ModifiedMs int64  `json:"modified_ms"`
	} `json:"files"`
	Needed uint64 `json:"needed,string"`
	Limit  uint64 `json:"limit,string"`
}

type cacheRoomOutput struct {
	Gone []string `json:"gone"`
	Fits bool     `json:"fits"`
}

var cacheRoom = rule(func(in cacheRoomInput) cacheRoomOutput {
	files := make([]rules.CacheSize, len(in.Files))
	for i, f := range in.Files {
		files[i] = rules.CacheSize{Name: f.Name, Bytes: f.Bytes, ModifiedMs: f.ModifiedMs}
	}
	gone, fits := rules.CacheRoom(files, in.Needed, in.Limit)
	return cacheRoomOutput{append([]string{}, gone...), fits}
})
