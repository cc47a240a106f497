"""Use the blocking client in Django views.

Install `django`, and `gunicorn` to serve it.

Run it as `python django_app.py runserver`, or as `gunicorn --preload django_app:application`.
"""

import functools
import sys

from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.http import require_GET

from amp_exp_async import AmpExpError, ExperimentClient, NotFoundError


@functools.cache
def get_client() -> ExperimentClient:
    # One client for each process, for all threads. Opened by the first request that needs it, so after gunicorn has
    # forked its workers; a client that was opened before a fork also works in the child, with connections of its own.
    # It is closed when the process ends. With several workers, pass rate_limit=RedisRateLimit(…).
    return ExperimentClient(deadline=10)


@require_GET
def show_flag(_request: HttpRequest, project_id: str, key: str) -> HttpResponse:
    try:
        flag = get_client().flags.find(key, project_id=project_id)
    except NotFoundError as error:
        return JsonResponse({"error": str(error)}, status=404)
    except AmpExpError as error:
        return JsonResponse({"error": str(error)}, status=502)
    return JsonResponse(flag.to_dict())


# In a project, this stands in settings.py and urls.py.
urlpatterns = [path("projects/<project_id>/flags/<key>", show_flag)]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["localhost", "127.0.0.1", "testserver"], DEBUG=False)
application = get_wsgi_application()

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
