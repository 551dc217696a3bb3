/* The example of thimble.h, line by line, and what its on_event is. Run where the model lies. */
#include <stdio.h>

#include <thimble/thimble.h>

static int32_t on_event(void* user, const thimble_event* event) {
  (void)user;
  return fwrite(event->text, 1, event->text_bytes, stdout) == event->text_bytes;
}

int main(void) {
  thimble_error error = {.struct_bytes = sizeof error};
  thimble_plan plan = {.struct_bytes = sizeof plan};
  thimble_generation story = {.struct_bytes = sizeof story, .max_tokens = 100, .text = "Once upon a time", .text_bytes = 16};
  thimble_model* model = NULL;
  thimble_session* session = NULL;
  if (thimble_model_open("stories-qmqa.thimble", &model, &error) == THIMBLE_OK &&
      thimble_plan_memory(model, NULL, &plan, NULL, NULL, &error) == THIMBLE_OK &&  // bytes, before anything is loaded
      thimble_session_create(model, NULL, &session, &error) == THIMBLE_OK)
    thimble_generate(session, &story, on_event, NULL, &error);                      // on_event prints event->text
  if (error.code != THIMBLE_OK) fprintf(stderr, "%s\n", error.message);
  thimble_session_close(session);
  thimble_model_close(model);
  return thimble_exit_code(error.code);
}
