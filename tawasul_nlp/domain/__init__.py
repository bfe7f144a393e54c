"""The domain as data: kinds, topics, agencies, places of Bahrain, and routing rules.

``Taxonomy.load`` accepts other kinds, topics, agencies and places; the routing rules are the package's.

>>> from tawasul_nlp.domain import Taxonomy, find_places, route
>>> places = find_places("القمامة متراكمة في الرفاع الشرقي مجمع 925")
>>> routing = route("waste_collection", places)
>>> Taxonomy.load().agency(routing.agency_id).name_ar
'بلدية المنطقة الجنوبية'
"""

from tawasul_nlp._yaml import DataError
from tawasul_nlp.domain.agencies import AgencyMention, find_named_agencies
from tawasul_nlp.domain.gazetteer import Gazetteer, Governorate, NamedPlace
from tawasul_nlp.domain.places import Place, Places, find_places
from tawasul_nlp.domain.routing import Boundary, Routing, boundaries, route
from tawasul_nlp.domain.taxonomy import Agency, Kind, Taxonomy, Topic, UnknownIdError

__all__ = [
    "Agency",
    "AgencyMention",
    "Boundary",
    "DataError",
    "Gazetteer",
    "Governorate",
    "Kind",
    "NamedPlace",
    "Place",
    "Places",
    "Routing",
    "Taxonomy",
    "Topic",
    "UnknownIdError",
    "boundaries",
    "find_named_agencies",
    "find_places",
    "route",
]
