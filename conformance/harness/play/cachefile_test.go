package play

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"testing"
	"time"
)

// file is the first case of cache_file.json, and when it says it was written.
func file(t *testing.T) (content []byte, writtenMs int64) {
	text, err := os.ReadFile("../../vectors/cache_file.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Cases []struct {
			Input struct {
				File struct {
					WrittenMs int64 `json:"written_ms"`
				} `json:"file"`
			} `json:"input"`
			Output struct {
				Bytes string `json:"bytes"`
			} `json:"output"`
		} `json:"cases"`
	}
	if err = json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	content, err = hex.DecodeString(vectors.Cases[0].Output.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return content, vectors.Cases[0].Input.File.WrittenMs
}

func TestShiftedMovesTheTimeOfWritingAndNothingElse(t *testing.T) {
	content, writtenMs := file(t)
	at := bytes.Index(content, binary.LittleEndian.AppendUint64(nil, uint64(writtenMs)))
	changed := bytes.Clone(content)
	if err := shifted(changed, -time.Hour); err != nil {
		t.Fatal(err)
	}
	if now := int64(binary.LittleEndian.Uint64(changed[at:])); now != writtenMs-3_600_000 {
		t.Errorf("written at %d, want an hour before %d", now, writtenMs)
	}
	if bytes.Equal(changed[cacheChecksum:cacheSummed], content[cacheChecksum:cacheSummed]) {
		t.Error("the checksum is the old one")
	}
	if err := shifted(changed, time.Hour); err != nil || !bytes.Equal(changed, content) {
		t.Errorf("there and back: %v, %x, want %x", err, changed, content)
	}
}

func TestShiftedRefusesWhatIsNoCacheFile(t *testing.T) {
	content, _ := file(t)
	for _, wrong := range [][]byte{nil, []byte("text that is long enough for a header"), content[:40], content[:90]} {
		if err := shifted(bytes.Clone(wrong), time.Hour); !errors.Is(err, errNoCacheFile) {
			t.Errorf("%x: %v", wrong, err)
		}
	}
}
