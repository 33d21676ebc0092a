package rest_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/servertest"
)

// Conversations begin over Socket.IO; here are those who may not see one, and
// what is wrong with requests. test/e2e/chat_rooms.test.mjs has the rest.
func TestChatRoomsOverREST(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	ada := s.Token("ada", "default", auth.Member)
	publisher, stranger := s.Token("pat", "default", auth.Publisher), s.Token("eve", "other", auth.Admin)
	const rooms = "/api/v1/tenants/default/chat/rooms"
	const room = rooms + "/16fd2706-8baf-433b-82eb-8c7fada847da"
	var list struct{ Rooms []struct{ Title string } }
	if status := s.Do(ada, "GET", rooms, nil, &list); status != http.StatusOK || list.Rooms == nil || len(list.Rooms) != 0 {
		t.Errorf("%d %+v", status, list)
	}
	for _, tt := range []struct {
		token, method, path, body string
		want                      string
	}{
		{publisher, "GET", rooms, "", "404 NOT_FOUND "},
		{stranger, "GET", rooms, "", "404 NOT_FOUND "},
		{ada, "GET", rooms + "?cursor=x", "", "400 VALIDATION_ERROR cursor"},
		{ada, "GET", rooms + "?limit=0", "", "400 VALIDATION_ERROR limit"},
		{ada, "GET", room, "", "404 NOT_FOUND "},
		{ada, "PATCH", room, `{"title":"x"}`, "404 NOT_FOUND "},
		{ada, "DELETE", room, "", "404 NOT_FOUND "},
		{ada, "GET", room + "/messages", "", "404 NOT_FOUND "},
		{ada, "GET", room + "/messages?limit=101", "", "400 VALIDATION_ERROR limit"},
		{ada, "GET", room + "/messages?before=0", "", "400 VALIDATION_ERROR before"},
		{ada, "GET", room + "/members", "", "404 NOT_FOUND "},
		{ada, "PUT", room + "/members/bob", "", "404 NOT_FOUND "},
		{ada, "DELETE", room + "/members/bob", "", "404 NOT_FOUND "},
	} {
		var a answer
		var body any
		if tt.body != "" {
			body = tt.body
		}
		status := s.Do(tt.token, tt.method, tt.path, body, &a)
		if got := fmt.Sprint(status, " ", a.Error.Code, " ", a.Error.Field); got != tt.want {
			t.Errorf("%s %s: got %s, want %s", tt.method, tt.path, got, tt.want)
		}
	}
}
