module github.com/muster-registry/muster

go 1.26.0
