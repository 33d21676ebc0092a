module github.com/roomcast/roomcast

go 1.26
