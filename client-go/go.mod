module github.com/muster-registry/muster/client-go

go 1.26.0
