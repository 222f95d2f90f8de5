package raw

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func TestMarshalPassesBytesOn(t *testing.T) {
	request := Request("as they are")
	got, err := codec{}.Marshal(request)
	if err != nil || !bytes.Equal(got.Materialize(), request) {
		t.Errorf("got %q, %v", got.Materialize(), err)
	}
	if _, err := (codec{}).Marshal(wrapperspb.String("x")); err == nil || !strings.Contains(err.Error(), "StringValue") {
		t.Errorf("a message was encoded: %v", err)
	}
}

func TestUnmarshal(t *testing.T) {
	// BytesValue{"ab"}, in two buffers as the transport may hand it over.
	data := mem.BufferSlice{mem.SliceBuffer("\x0a\x02"), mem.SliceBuffer("ab")}
	var sized Reply
	if err := (codec{}).Unmarshal(data, &sized); err != nil || sized.Size != 4 || sized.Data != nil {
		t.Errorf("got %+v, %v", sized, err)
	}
	kept := Reply{Keep: true}
	if err := (codec{}).Unmarshal(data, &kept); err != nil || string(kept.Data) != "\x0a\x02ab" {
		t.Errorf("got %+v, %v", kept, err)
	}
	value := &wrapperspb.BytesValue{}
	decoded := Reply{Into: value}
	if err := (codec{}).Unmarshal(data, &decoded); err != nil || string(value.GetValue()) != "ab" {
		t.Errorf("got %v, %v", value, err)
	}
	if err := (codec{}).Unmarshal(mem.BufferSlice{mem.SliceBuffer("\x0a\x07ab")}, &decoded); err == nil {
		t.Error("half a message was decoded")
	}
}
