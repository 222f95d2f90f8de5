module github.com/muster-registry/muster/gen/go

go 1.26.0
